module harikube/e2e/integration

go 1.26.0

require harikube/e2e/storage v0.0.0

replace harikube/e2e/storage => ../storage
