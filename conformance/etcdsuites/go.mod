module harikube/e2e/etcdsuites

go 1.26.0

require (
	github.com/lib/pq v1.12.3
	harikube/e2e/storage v0.0.0
)

replace harikube/e2e/storage => ../storage
