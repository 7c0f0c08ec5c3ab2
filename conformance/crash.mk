# Crashes under load: kill -9 of HariKube, and of PostgreSQL under it; and more asked for than there is
# memory for. `make test` has a smaller form of each in its test-conformance.

test_long_parts += test-crash test-memory test-check-perf

.PHONY: test-crash
test-crash: server build/tools/tally test-postgres ## 50 crashes of the server on each database, 100 while it collects, 20 of PostgreSQL.
	@HARIKUBE_GC_CRASH_ROUNDS=$${HARIKUBE_GC_CRASH_ROUNDS:-100} HARIKUBE_CRASH_ROUNDS=$${HARIKUBE_CRASH_ROUNDS:-50} \
	  HARIKUBE_POSTGRES_CRASH_ROUNDS=$${HARIKUBE_POSTGRES_CRASH_ROUNDS:-20} \
	  $(tally) go test -C conformance -count=1 -timeout=2h -json ./crash

.PHONY: test-memory
test-memory: server build/tools/tally test-postgres ## 100 clients ask for everything at once, with -Xmx256m.
	@HARIKUBE_MEMORY_CLIENTS=$${HARIKUBE_MEMORY_CLIENTS:-100} \
	  $(tally) go test -C conformance -count=1 -timeout=30m -json ./memory

.PHONY: test-check-perf
test-check-perf: server etcd build/tools/tally test-postgres ## etcdctl check perf on HariKube and etcd (4 minutes).
	@HARIKUBE_CHECK_PERF=1 $(tally) go test -C conformance -count=1 -run TestCheckPerf -json ./etcdctl
