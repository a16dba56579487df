"""What a user would pick instead, each written as its documentation has it, in an environment of its own.

celery_task     a Celery task a product
celery_batches  celery-batches: the same, in batches that the worker gathers
ray_data        Ray Data: from MongoDB through map_batches to SQL
asyncio_loop    a loop of one's own, without a queue

They read the same documents, ask the same model server and write the same rows as Shelver; of it they use
`worker.contract` alone. NAME.txt is what each needs, made into an environment by `environment`.
"""
