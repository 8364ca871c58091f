"""The geometry that inspection needs: cells, regions, hyperplanes, least numbers of neurons."""
