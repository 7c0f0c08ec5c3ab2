module harikube/conformance/etcdsuites

go 1.26.0

require (
	github.com/lib/pq v1.12.3
	harikube/conformance/storage v0.0.0
)

replace harikube/conformance/storage => ../storage
