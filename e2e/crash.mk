# Crashes under load: kill -9 of HariKube, and of PostgreSQL under it. `make test` has a few rounds of
# them in its test-e2e.

test_long_parts += test-crash

.PHONY: test-crash
test-crash: server build/e2e/tally test-postgres ## 50 crashes of the server on each database, 20 of PostgreSQL.
	@HARIKUBE_CRASH_ROUNDS=$${HARIKUBE_CRASH_ROUNDS:-50} \
	  HARIKUBE_POSTGRES_CRASH_ROUNDS=$${HARIKUBE_POSTGRES_CRASH_ROUNDS:-20} \
	  $(tally) go test -C e2e -count=1 -timeout=2h -json ./crash
