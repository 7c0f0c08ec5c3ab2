# The tests that etcd's authors wrote for etcd's clients. docs/conformance.md says what they are.
#
#   make test-etcd-suites       [STORE=etcd|sqlite|postgres] [PKG=integration/clientv3,…] [RUN=regexp]
#   make test-etcd-suites-long  the same, all packages on both databases
#
# `make test` runs those that need no whole minutes of waiting, on SQLite.

test_parts += test-etcd-suites
test_long_parts += test-etcd-suites-long

ETCD_SUITES_QUICK = integration/clientv3,integration/clientv3/concurrency
etcd_suites = go run -C conformance/etcdsuites . -json -store $(1) -run "$(RUN)" $(if $(2),-packages "$(2)")

.PHONY: test-etcd-suites
test-etcd-suites: server etcd build/tools/tally $(if $(filter postgres,$(STORE)),test-postgres) ## etcd's own client tests on HariKube. STORE=, PKG=, RUN=
	@$(tally) $(if $(filter postgres,$(STORE)),conformance/with-postgres) \
	  $(call etcd_suites,$(or $(STORE),sqlite),$(or $(PKG),$(ETCD_SUITES_QUICK)))

.PHONY: test-etcd-suites-long
test-etcd-suites-long: server etcd build/tools/tally test-postgres
	@$(tally) conformance/with-postgres sh -c 'failed=; for store in $(or $(STORE),sqlite postgres); do \
	  $(call etcd_suites,$$store,$(PKG)) || failed=1; done; test -z "$$failed"'
