# Comparisons with the peers. ARGS are the options of the program; ARGS=--help lists them.
#
#   make bench-etcd ARGS='--quick --loads puts,gets --clients 1,64'
#
# HARIKUBE_TEST_POSTGRES, the URL of a server in which databases may be made, replaces test-postgres.

test_parts += test-bench

.PHONY: bench-etcd
bench-etcd: build kine build/bench/etcd $(if $(HARIKUBE_TEST_POSTGRES),,test-postgres) ## Rates and latencies beside etcd's and kine's (45 minutes). ARGS='--quick --loads puts,gets'.
	@build/bench/etcd -bin $(bin) $(ARGS)

build/bench/etcd: $(wildcard bench/etcd/*)
	@mkdir -p $(@D)
	@CGO_ENABLED=0 go build -C bench/etcd $(go_build) -o '$(CURDIR)/$@' .

.PHONY: test-bench
test-bench: build/e2e/tally
	@$(tally) go test -C bench/etcd -count=1 -json ./...
