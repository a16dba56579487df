"""From a dump to training data: choose products, split them, write their pictures as shards of TFRecords."""
