// cosign, which the tests ask whether our signatures are good: `make test-cosign`.
module harikube.io/release/cosign

go 1.26.0

tool github.com/sigstore/cosign/v3/cmd/cosign

require github.com/sigstore/cosign/v3 v3.1.3
