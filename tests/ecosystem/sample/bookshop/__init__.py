"""A bookshop: what its tests put under guard is what applications of this sort are made of."""
