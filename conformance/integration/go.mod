module harikube/conformance/integration

go 1.26.0

require harikube/conformance/storage v0.0.0

replace harikube/conformance/storage => ../storage
