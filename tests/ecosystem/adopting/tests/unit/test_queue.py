from parcels.queue import Worker


def test_works_in_order():
    done = []
    worker = Worker(done.append)
    for number in range(5):
        worker.put(number)
    worker.close()
    assert done == [0, 1, 2, 3, 4]


def test_failures_are_kept():
    worker = Worker(lambda item: 1 / item)
    worker.put(0)
    worker.close()
    assert [item for item, _error in worker.failed] == [0]


def test_goes_on_after_a_failure():
    done = []
    worker = Worker(lambda item: done.append(1 / item))
    for item in (0, 1):
        worker.put(item)
    worker.close()
    assert done == [1.0]
