"""Scripts a maintainer runs: make samples, train the shipped detector, benchmarks."""
