"""Parcels: prices, orders, labels and where a parcel is."""
