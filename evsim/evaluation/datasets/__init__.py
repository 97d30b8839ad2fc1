"""One file a kind of dataset, found by being here.

A dataset module has

    find(root: Path, options: FindOptions) -> Dataset       # list it, read nothing

and, where it has something to add,

    recognises(path: Path) -> bool                          # a bare path is such a dataset
    read(item: Item, options: ReadOptions) -> Recording     # items that `read_recording` cannot open
    crop_pct(family: str) -> float                          # images of any size are resized and cropped by this
    NORMALISE: str                                          # how raw pixels become input, unless the weights know
"""
