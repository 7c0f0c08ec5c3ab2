# Kubernetes' own tests against the store: the storage tests of k8s.io/apiserver and the integration
# tests of k8s.io/kubernetes. docs/conformance.md says what they are and has the results.
#
#   make test-storage      [STORE=etcd|sqlite|postgres] [RUN=regexp] [STORAGE_PKG=pkg/storage/etcd3,…]
#   make test-integration  [STORE=…] [PKG=garbagecollector,…] [RUN=regexp] [RESUME=1]
#   make conformance-report
#
# Without STORE they run on SQLite and on PostgreSQL: the one that HARIKUBE_TEST_POSTGRES is the URL of,
# or one that is started for them. HARIKUBE_BIN and ETCD_BIN name other executables than
# build/bin/harikube and build/bin/etcd.

CONFORMANCE_STORES = $(or $(STORE),sqlite postgres)
STORAGE_PKG ?= pkg/storage/etcd3

test_parts += test-storage
test_long_parts += test-integration

# $(1): a command that is run for each $$store; all of them are run, whatever becomes of each.
on_stores = e2e/with-postgres sh -c 'failed=; for store in $(CONFORMANCE_STORES); do \
  $(1) || failed=1; done; test -z "$$failed"'

.PHONY: test-storage
test-storage: server etcd test-postgres build/e2e/tally ## Kubernetes' storage tests on HariKube. STORE=, RUN=
	@$(tally) $(call on_stores,go run -C e2e/storage . -json -store $$store \
	  -packages "$(STORAGE_PKG)" -run "$(RUN)")

.PHONY: test-integration
test-integration: server etcd test-postgres build/e2e/tally ## Kubernetes' integration tests on HariKube. STORE=, PKG=, RUN=
	@$(tally) $(call on_stores,go run -C e2e/integration . -json -store $$store -run "$(RUN)" \
	  $(if $(PKG),-packages "$(PKG)") $(if $(RESUME),-resume))

.PHONY: conformance-report
conformance-report: ## Writes the results of both into docs/conformance.md.
	@go run -C e2e/integration . -report ../../docs/conformance.md
