# Comparisons with the peers. ARGS are the options of the program; ARGS=--help lists them.
#
#   make bench-etcd ARGS='--quick --loads puts,gets --clients 1,64'
#
# HARIKUBE_TEST_POSTGRES, the URL of a server in which databases may be made, replaces test-postgres.

test_parts += test-bench

# What the parts below need. The API server as Kubernetes has it stands beside etcd and kine.
bench_peers := build kine build/bench/etcd $(if $(HARIKUBE_TEST_POSTGRES),,test-postgres)
bench_clusters := build kubernetes-unpatched kine k6 build/bench/kubernetes test-postgres
bench_out := build/bench-results
bench_etcd = build/bench/etcd -bin $(bin) -out $(bench_out)/etcd
bench_kubernetes = build/bench/kubernetes $(1) -bin $(bin) -out $(bench_out)/kubernetes

.PHONY: bench-etcd
bench-etcd: $(bench_peers) ## Rates and latencies beside etcd's and kine's (45 minutes). ARGS='--quick --loads puts,gets'.
	@$(bench_etcd) $(ARGS)

build/bench/etcd: $(wildcard bench/etcd/*)
	@mkdir -p $(@D)
	@CGO_ENABLED=0 go build -C bench/etcd $(go_build) -o '$(CURDIR)/$@' .

.PHONY: test-bench
test-bench: build/tools/tally
	@$(tally) sh -c 'failed=; for module in etcd kubernetes report; do \
	  go test -C bench/$$module -count=1 -json ./... || failed=1; done; test -z "$$failed"'

build/bench/kubernetes: $(wildcard bench/kubernetes/*) $(wildcard controlplane/*.go conformance/postgres/*.go)
	@mkdir -p $(@D)
	@CGO_ENABLED=0 go build -C bench/kubernetes $(go_build) -o '$(CURDIR)/$@' .

.PHONY: bench bench-quick
# A part that fails is named in the report, and does not cost the others their results.
bench: $(bench_peers) $(bench_clusters) ## All comparisons, into docs/benchmarks.md (60 minutes).
	@rm -rf $(bench_out)
	-@$(bench_etcd) -warmup 500ms -duration 1500ms -kine-clients 64
	-@$(bench_etcd) -big 1000000 -peers harikube-sqlite,harikube-postgres
	-@$(bench_etcd) -soak 1m -peers etcd,harikube-sqlite,harikube-postgres
	-@$(call bench_kubernetes,challenge) -duration 6s -warmup 5s -systems sqlite,postgres,etcd,kine
	-@$(call bench_kubernetes,watches)
	-@$(call bench_kubernetes,lists)
	@go run -C bench/report . -results '$(CURDIR)/$(bench_out)' -out '$(CURDIR)/docs'

bench-quick: bench_out = build/bench-quick
bench-quick: $(bench_peers) $(bench_clusters) ## The same in short, into build/bench-quick (10 minutes): whether, not how much.
	@rm -rf $(bench_out)
	-@$(bench_etcd) -quick -loads puts,creates,gets,count,watch -clients 1,64
	-@$(bench_etcd) -big 100000 -peers etcd,harikube-sqlite
	-@$(call bench_kubernetes,challenge) -rounds 1 -duration 10s -warmup 5s -counts 0,50000 -systems sqlite,etcd
	@go run -C bench/report . -results '$(CURDIR)/$(bench_out)' -out '$(CURDIR)/$(bench_out)'

.PHONY: bench-memory bench-selectors bench-challenge bench-watches bench-lists bench-parallel bench-deletions bench-quotas bench-owners bench-big bench-soak bench-report
bench-memory: $(bench_clusters) ## Memory of the control plane at 2,000 and 200,000 custom resources (30 minutes). ARGS='-systems sqlite'.
	@$(call bench_kubernetes,memory) $(ARGS)

bench-selectors: $(bench_clusters) ## A list of 1 among 1,000,000 beside a get; puts beside 10,000 watches (20 minutes). ARGS='-systems sqlite'.
	@$(call bench_kubernetes,selectors) $(ARGS)

bench-challenge: $(bench_clusters) ## The Kubernetes Performance Challenge on stores that hold 0 to 1,000,000 objects (45 minutes). ARGS='-systems sqlite'.
	@$(call bench_kubernetes,challenge) $(ARGS)

bench-watches: $(bench_clusters) ## The lag of 10,000 watches with a selector each (3 minutes). ARGS='-systems sqlite'.
	@$(call bench_kubernetes,watches) $(ARGS)

bench-lists: $(bench_clusters) ## Lists of 100,000 objects, by selectors and whole (4 minutes). ARGS='-systems sqlite'.
	@$(call bench_kubernetes,lists) $(ARGS)

bench-parallel: $(bench_clusters) ## Lists of 1 among 1,000,000 beside gets, by 64 clients. ARGS='-systems sqlite'.
	@$(call bench_kubernetes,parallel) -systems sqlite,postgres $(ARGS)

bench-deletions: $(bench_clusters) ## A namespace and a definition with 200,000 objects go. ARGS='-systems sqlite'.
	@$(call bench_kubernetes,deletions) -systems sqlite,postgres $(ARGS)

bench-quotas: $(bench_clusters) ## Creations below a quota of 1,000,000 objects. ARGS='-systems sqlite'.
	@$(call bench_kubernetes,quotas) -systems sqlite,postgres $(ARGS)

bench-owners: $(bench_clusters) ## 100,000 owners that the controller manager does not see, and what they own. ARGS='-systems sqlite'.
	@$(call bench_kubernetes,owners) -systems sqlite,postgres $(ARGS)

bench-garbage: $(bench_clusters) ## 100,000 dependents of one owner go. ARGS='-systems sqlite -counts 1000000'.
	@$(call bench_kubernetes,garbage) -systems sqlite,postgres $(ARGS)

bench-big: $(bench_peers) ## Start, get and count of 1,000,000 keys (6 minutes).
	@$(bench_etcd) -big 1000000 -peers etcd,harikube-sqlite,harikube-postgres $(ARGS)

bench-soak: $(bench_peers) ## Thirty minutes of mixed load: does anything drift? ARGS='-soak 5m'.
	@$(bench_etcd) -soak 30m -peers etcd,harikube-sqlite,harikube-postgres $(ARGS)

bench-report: ## docs/benchmarks.md from the results that there are.
	@go run -C bench/report . -results '$(CURDIR)/$(bench_out)' -out '$(CURDIR)/docs'
