# The manifests, the Helm chart and what goes with them, from the sources in manifests/ and release/chart.
#
#   make manifests         [VERSION=vX.Y.Z] [REGISTRY=…] [K8S=1.37]   into build/manifests
#   make manifests-golden                                             manifests/golden, after a change of a source
#   make test-manifests                                               golden files, traps, chart, alerts on real metrics

test_parts += test-manifests

VERSION ?= v0.0.0-dev
# Where the images are, as release/release.properties says.
REGISTRY ?= $(or $(shell sed -n 's/^REGISTRY=//p' release/release.properties 2>/dev/null),quay.io/harikube-jvm)

build/tools/manifests: $(wildcard manifests/generate/*.go manifests/generate/go.*)
	@echo "Manifests: building what renders them (2 minutes the first time)"
	@mkdir -p $(@D)
	@go build -C manifests/generate $(go_build) -o '$(CURDIR)/$@' .

.PHONY: manifests
manifests: build/tools/manifests ## What is applied to a host, in build/manifests. VERSION=vX.Y.Z, REGISTRY=, K8S=
	@build/tools/manifests -out build/manifests -version '$(VERSION)' -registry '$(REGISTRY)' -kubernetes '$(K8S)'

.PHONY: manifests-golden
manifests-golden: ## Writes manifests/golden anew: look at the difference.
	@go test -C manifests/generate -trimpath -count=1 -run TestGolden . -update

.PHONY: test-manifests
test-manifests: server etcd test-postgres build/tools/tally ## The manifests: golden files, what was wrong once, the chart, alerts on real metrics.
	@$(tally) sh -c 'failed=; for module in generate monitoring; do \
	  go test -C manifests/$$module -trimpath -count=1 -timeout=10m -json ./... || failed=1; done; test -z "$$failed"'
