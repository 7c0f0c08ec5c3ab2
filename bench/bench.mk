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

build/bench/kubernetes: $(wildcard bench/kubernetes/*) $(wildcard e2e/controlplane/*.go e2e/postgres/*.go)
	@mkdir -p $(@D)
	@CGO_ENABLED=0 go build -C bench/kubernetes $(go_build) -o '$(CURDIR)/$@' .

.PHONY: bench-memory bench-selectors bench-challenge
bench-memory: build kubernetes-unpatched build/bench/kubernetes test-postgres ## Memory of the control plane at 2,000 and 200,000 custom resources (30 minutes). ARGS='-systems sqlite'.
	@build/bench/kubernetes memory -bin $(bin) $(ARGS)

bench-selectors: build kubernetes-unpatched build/bench/kubernetes test-postgres ## A list of 1 among 1,000,000 beside a get; puts beside 10,000 watches (20 minutes). ARGS='-systems sqlite'.
	@build/bench/kubernetes selectors -bin $(bin) $(ARGS)

bench-challenge: build kubernetes-unpatched kine k6 build/bench/kubernetes test-postgres ## The Kubernetes Performance Challenge on stores that hold 0 to 1,000,000 objects (40 minutes). ARGS='-systems sqlite'.
	@build/bench/kubernetes challenge -bin $(bin) $(ARGS)

.PHONY: bench-soak bench-report
bench-soak: build build/bench/etcd $(if $(HARIKUBE_TEST_POSTGRES),,test-postgres) ## Thirty minutes of mixed load: does anything drift? ARGS='-soak 5m'.
	@build/bench/etcd -bin $(bin) -peers harikube-sqlite,harikube-postgres,etcd -soak 30m $(ARGS)

bench-report: ## docs/benchmarks.md from the results that there are in build.
	@go run -C bench/report . -build '$(CURDIR)/build' -out '$(CURDIR)/docs'
