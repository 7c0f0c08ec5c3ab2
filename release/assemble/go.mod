// What a release consists of, and whether it is all right: `make release`, `make sign`, `make verify`.
module harikube.io/release/assemble

go 1.26.0

require (
	github.com/CycloneDX/cyclonedx-go v0.12.0
	golang.org/x/mod v0.43.0
	golang.org/x/sys v0.43.0
)
