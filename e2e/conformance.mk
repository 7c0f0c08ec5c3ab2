# Kubernetes' own tests against the store: the storage tests of k8s.io/apiserver and the integration
# tests of k8s.io/kubernetes. docs/conformance.md says what they are and has the results.
#
#   make test-storage      [STORE=etcd|sqlite|postgres] [RUN=regexp] [STORAGE_PKG=pkg/storage/etcd3,…]
#   make test-integration  [STORE=…] [PKG=garbagecollector,…] [RUN=regexp] [RESUME=1]
#   make conformance-report
#
# Without STORE they run on SQLite, and on PostgreSQL if HARIKUBE_TEST_POSTGRES is the URL of a server
# in which databases may be made. HARIKUBE_BIN and ETCD_BIN name other executables than
# build/bin/harikube and build/bin/etcd.

CONFORMANCE_STORES = $(or $(STORE),sqlite $(if $(HARIKUBE_TEST_POSTGRES),postgres))
STORAGE_PKG ?= pkg/storage/etcd3

.PHONY: test-storage
test-storage:
	@$(if $(STORE)$(HARIKUBE_TEST_POSTGRES),,echo "NOT RUN on PostgreSQL: HARIKUBE_TEST_POSTGRES is not set")
	@failed=; for store in $(CONFORMANCE_STORES); do \
	  go run -C e2e/storage . -store $$store -packages '$(STORAGE_PKG)' -run '$(RUN)' || failed=1; \
	done; test -z "$$failed"

.PHONY: test-integration
test-integration:
	@$(if $(STORE)$(HARIKUBE_TEST_POSTGRES),,echo "NOT RUN on PostgreSQL: HARIKUBE_TEST_POSTGRES is not set")
	@failed=; for store in $(CONFORMANCE_STORES); do \
	  go run -C e2e/integration . -store $$store -run '$(RUN)' \
	    $(if $(PKG),-packages '$(PKG)') $(if $(RESUME),-resume) || failed=1; \
	done; test -z "$$failed"

.PHONY: conformance-report
conformance-report:
	@go run -C e2e/integration . -report ../../docs/conformance.md
