# What a server is asked that has little memory, and what is done to it: values of 1.4 MB, and hostile
# clients. docs/conformance.md says what has to hold.
#
#   make test-hostile     [TIME=30s] [STORE=sqlite|postgres] [RUN=regexp]   each kind of hostile client, on both databases
#   make test-big-values  [KEYS=600] [STORE=…]                              everything with big values, on both databases
#
# `make test` has a smaller form of the big values. How fast a client is served beside an attack says something on
# a quiet machine only, so the attacks are in `make test-long`; `make test-hostile-short` is 2 s of each.

test_parts += test-big-values-short
test_long_parts += test-big-values test-hostile

hostile = HARIKUBE_HOSTILE_TIME=$(1) HARIKUBE_HOSTILE_STORES="$(or $(STORE),$(2))" \
  $(tally) go test -C conformance -count=1 -timeout=3h -json -run 'TestHostileClients/.*/($(RUN))' ./hostile
big_values = HARIKUBE_BIG_KEYS=$(1) HARIKUBE_BIG_STORES="$(or $(STORE),sqlite postgres)" \
  $(tally) go test -C conformance -count=1 -timeout=3h -json -run '$(2)' ./bigvalues

.PHONY: test-hostile-short
test-hostile-short: server build/tools/tally $(if $(filter postgres,$(STORE)),test-postgres)
	@$(call hostile,2s,sqlite)

.PHONY: test-hostile
test-hostile: server build/tools/tally test-postgres ## Hostile clients, each kind beside one that must not notice. TIME=30s, STORE=, RUN=
	@$(call hostile,$(or $(TIME),30s),sqlite postgres)

.PHONY: test-big-values-short
test-big-values-short: server build/tools/tally test-postgres
	@$(call big_values,190,TestEveryOperation)

# A store of 2 GB is also taken from each database to the other.
.PHONY: test-big-values
test-big-values: server build/tools/tally test-postgres ## Everything with values of 1.4 MB and a heap of 256 MB. KEYS=600, STORE=
	@HARIKUBE_BIG_SNAPSHOT=1450 $(call big_values,$(or $(KEYS),600))
