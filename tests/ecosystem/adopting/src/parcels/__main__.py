"""``python -m parcels price GRAMS [COUNTRY]`` and ``python -m parcels quote NUMBER``."""

import sys

from parcels import prices


def main(arguments):
    command, *rest = arguments or ["help"]
    if command == "price":
        country = rest[1] if len(rest) > 1 else "AT"
        print(prices.price(prices.kind_for(int(rest[0])), country))
        return 0
    if command == "quote":
        from parcels import cache

        print(cache.recall(rest[0]) or "no quote")
        return 0
    print("usage: parcels price GRAMS [COUNTRY] | quote NUMBER", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
