# What the tests of the server's package kubernetes compare with: Kubernetes' own answers.

.PHONY: kubernetes-samples
kubernetes-samples: ## Writes anew what Kubernetes answers about selectors and objects, for the Java tests.
	@go run -C e2e/selectors . -out '$(CURDIR)/server/src/test/resources/io/harikube/kubernetes'
