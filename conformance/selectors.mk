# What the tests of the server's package kubernetes compare with: Kubernetes' own answers.

.PHONY: kubernetes-samples
kubernetes-samples: ## Writes anew what Kubernetes answers about selectors and objects, for the Java tests.
	@go run -C conformance/selectors . -out '$(CURDIR)/server/src/test/resources/io/harikube/kubernetes'

.PHONY: kubernetes-kinds
kubernetes-kinds: etcd ## Writes anew what the API servers of all minor versions serve, and where they keep it.
	@for minor in $(sort $(K8S) $(other_minors)); do $(MAKE) build/kubernetes/$$minor/.built K8S=$$minor || exit 1; done
	@go run -C conformance ./cmd/kinds -kubernetes '$(CURDIR)/build/kubernetes' -bin '$(CURDIR)/$(bin)' \
	  -out '$(CURDIR)/server/src/test/resources/io/harikube/kubernetes/kinds.jsonl' $(sort $(K8S) $(other_minors))
