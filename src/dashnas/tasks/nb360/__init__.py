"""The ten official tasks of NAS-Bench-360, one file each.

Reference: Tu et al. 2022, NAS-Bench-360. What is done with the files follows the benchmark's public code, or that of
DASH (Shen et al. 2022) where the protocol is `dash-official`.
"""
