"""Where the rows of a training problem live.

An engine holds the features ``X`` (n, d), the targets ``Y`` (n, C) and the weights ``w`` (n,) of a
problem and runs *kernels* over blocks of them.  It knows nothing of neurons and losses; whoever
writes a kernel knows nothing of where the rows are.

``map_reduce(kernel, *small, width, dtype=None, rowwise=(), keep=False) -> sums, handle``
    Calls ``kernel(xp, block, *small) -> (sums, kept)`` for every block of rows.  ``xp`` is the
    array namespace of the block (a module of the array API standard), ``block`` a
    :class:`~sklearn_convexnn.core.problem.engines.block.Block`.  NumPy arrays among ``small`` come
    as arrays of ``xp``.  The ``sums`` (a sequence of arrays) are added over blocks in float64, in
    the order of the rows, so that no result depends on timing, and come back as NumPy arrays.
    With ``keep`` the arrays ``kept`` (rows, ..) stay where the rows are; the caller gets an opaque
    handle, to be given to later passes as one of ``rowwise``.  ``width`` is the most numbers per
    row that the kernel makes, ``dtype`` that of the features, None for kernels that read none.
``in_memory``
    Whether all rows may be taken to the memory of this process, by ``collect`` and ``fetch``; if
    not, these refuse many rows.  ``take``, ``with_weights`` and ``with_targets`` are needed then.
``in_file``
    Whether rows are in a mapped file, and so many that what is kept of them is in a file as well.
``take(index)``, ``first(k)``
    An engine of some of the rows, or of ``k`` at most.
``sample(count, dtype)``
    An engine of ``count`` rows at most, the same in any order of them, with weights of sum 1.
``draw(handle, count, dtype)``
    An engine of about ``count`` rows, drawn as often as what a pass has kept of them is large, and
    what was kept over these frequencies, as one NumPy array: its sums are about those of all rows.
``with_weights(weights)``, ``with_targets(Y)``
    The same rows with others.
``fetch(handle)``, ``kept(array)``
    What a pass has kept, as one NumPy array, and the handle of such an array.
``targets()``
    ``Y`` and ``w`` as NumPy arrays.
``collect(limit=None)``
    An engine with all rows in memory, or a ValueError that names the way where they are more than
    ``limit``.
``statistics()``
    :class:`~sklearn_convexnn.core.problem.engines.block.Statistics` of the rows.
``n_distinct()``
    How many rows differ in features or targets.
``passes``
    How often the features of all rows were read.
``close()``
    Gives back what the engine holds (threads, connections).
"""
