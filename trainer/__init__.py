"""From a BSON dump to a measured, published model. Everything that imports TensorFlow lives here."""
