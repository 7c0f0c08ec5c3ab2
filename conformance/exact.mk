# Kubernetes as it is on etcd, and Kubernetes on HariKube, asked the same at random: `make test` has a
# shorter form in its test-conformance. HARIKUBE_EXACT_SEED repeats a run.

test_long_parts += test-exact

.PHONY: test-exact
test-exact: build kubernetes-unpatched build/tools/tally test-postgres ## Random requests on HariKube and on etcd; HARIKUBE_EXACT_ROUNDS=60.
	@HARIKUBE_EXACT_CACHED=1 HARIKUBE_EXACT_ROUNDS=$${HARIKUBE_EXACT_ROUNDS:-60} \
	  $(tally) go test -C conformance -count=1 -timeout=3h -json ./exact
