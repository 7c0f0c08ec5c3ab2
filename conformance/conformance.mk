# Kubernetes' own tests against the store: the storage tests of k8s.io/apiserver, and integration and some end-to-end
# tests of k8s.io/kubernetes, all with our patch. docs/conformance.md says what they are and has the
# results.
#
#   make test-storage         [K8S=1.37] [STORE=etcd|sqlite|postgres] [RUN=regexp] [STORAGE_PKG=pkg/storage/etcd3,…]
#   make test-storage-minors  the same for the other minor versions
#   make test-integration     [STORE=…] [PKG=garbagecollector,…] [RUN=regexp] [RESUME=1]
#   make test-gc-labelled     [STORE=sqlite|postgres] [RUN=regexp]
#   make test-gc-e2e          [STORE=sqlite|postgres]
#   make conformance-report
#
# Without STORE they run on SQLite and on PostgreSQL: the one that HARIKUBE_TEST_POSTGRES is the URL of,
# or one that is started for them. HARIKUBE_BIN and ETCD_BIN name other executables than
# build/bin/harikube and build/bin/etcd.

CONFORMANCE_STORES = $(or $(STORE),sqlite postgres)
STORAGE_PKG ?= pkg/storage/etcd3

test_parts += test-storage
test_long_parts += test-storage-minors test-integration test-gc-labelled test-gc-e2e

# $(1): a command that is run for each $$store; all of them are run, whatever becomes of each.
on_stores = conformance/with-postgres sh -c 'failed=; for store in $(CONFORMANCE_STORES); do \
  $(1) || failed=1; done; test -z "$$failed"'

storage_tests = go run -C conformance/storage . -json -kubernetes $(1) -store $$store \
  -packages "$(STORAGE_PKG)" -run "$(RUN)"

.PHONY: test-storage
test-storage: server etcd test-postgres build/tools/tally ## Kubernetes' storage tests on HariKube. K8S=, STORE=, RUN=
	@$(tally) $(call on_stores,$(call storage_tests,$(K8S)))

.PHONY: test-storage-minors
test-storage-minors: server etcd test-postgres build/tools/tally ## The same with the minor versions other than K8S=.
	@$(tally) $(call on_stores,for minor in $(other_minors); do $(call storage_tests,$$minor) || failed=1; done; true)

.PHONY: test-integration
test-integration: server etcd test-postgres build/tools/tally ## Kubernetes' integration tests on HariKube. STORE=, PKG=, RUN=
	@$(tally) $(call on_stores,go run -C conformance/integration . -json -kubernetes $(K8S) -store $$store -run "$(RUN)" \
	  $(if $(PKG),-packages "$(PKG)") $(if $(RESUME),-resume))

.PHONY: test-gc-labelled
test-gc-labelled: server test-postgres build/tools/tally ## Those of the garbage collector, with all objects labelled, and without. STORE=, RUN=
	@$(tally) $(call on_stores,for how in apart labelled; do go run -C conformance/integration . -json -kubernetes $(K8S) -store $$store \
	  -run "$(RUN)" -$$how -packages garbagecollector || failed=1; done; true)

.PHONY: test-gc-e2e
test-gc-e2e: build test-postgres build/tools/tally ## Kubernetes' end-to-end cases of the garbage collector, labelled and not. STORE=
	@$(tally) $(call on_stores,for labelled in false true; do go test -C conformance/apimachinery -count=1 -timeout=30m -json . \
	  -args -store $$store -labelled=$$labelled || failed=1; done; true)

.PHONY: conformance-report
conformance-report: ## Writes the results of both into docs/conformance.md.
	@go run -C conformance/integration . -report ../../docs/conformance.md
