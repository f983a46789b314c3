"""A freight forwarder: rates, ships, parcels, customers."""
