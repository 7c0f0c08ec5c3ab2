# Kubernetes' own end-to-end tests, as they are, on the node of e2e/, whose control plane is ours.
#
#   make conformance            [SUITES="api-machinery conformance"] [FOCUS=regexp] [PROCESSES=3] [STORE=postgres]
#   make conformance-programs   the tests and the images of their Pods alone
#
# It takes root's rights, as `make e2e` does. Everything is kept in build/kubernetes-e2e; docs/conformance.md has the results, and
# conformance/kubernetes-e2e/not-applicable.txt says what is left out, and why.

e2e_suite := build/kubernetes-e2e
e2e_suite_module := conformance/kubernetes-e2e/go.mod conformance/kubernetes-e2e/go.sum
e2e_suite_version = $(shell sed -n 's|^require k8s.io/kubernetes v||p' conformance/kubernetes-e2e/go.mod)
e2e_suite_stamp := k8s.io/component-base/version
e2e_suite_flags = -s -w \
  -X $(e2e_suite_stamp).gitVersion=v$(e2e_suite_version) -X $(e2e_suite_stamp).gitTreeState=clean \
  -X $(e2e_suite_stamp).gitMajor=1 -X $(e2e_suite_stamp).gitMinor=$(word 2,$(subst ., ,$(e2e_suite_version)))

SUITES ?= api-machinery conformance
PROCESSES ?= 3
e2e_focus_api-machinery := \[sig-api-machinery\]
e2e_focus_conformance := \[Conformance\]

e2e_report = go run -C conformance ./cmd/e2e-report ../docs/conformance.md kubernetes-e2e/not-applicable.txt ../$(e2e_suite)/reports \
  $(foreach suite,api-machinery conformance,'$(suite)=$(e2e_focus_$(suite))')

.PHONY: conformance
conformance: e2e-built conformance-programs ## Kubernetes' end-to-end tests on a node of ours (3 hours). Root; SUITES=api-machinery, FOCUS=, PROCESSES=3
	@$(with_jdk) $(mvn) -q $(e2e_java) compile dependency:build-classpath -Dmdep.outputFile='$(CURDIR)/build/e2e/classpath' && \
	  failed=; $(foreach suite,$(SUITES),conformance/kubernetes-e2e/run $(K8S) $(e2e_store) $(suite) $(PROCESSES) 4h \
	    '$(or $(FOCUS),$(e2e_focus_$(suite)))' || failed=1;) \
	  $(e2e_report) && test -z "$$failed"

# ---- Programs ----------------------------------------------------------------------------------

.PHONY: conformance-programs
conformance-programs: $(e2e_suite)/e2e.test $(e2e_suite)/images/.made

e2e_suite_tools := ginkgo agnhost nonewprivs sample-apiserver

$(e2e_suite_tools:%=$(e2e_suite)/%) &: $(e2e_suite_module)
	@echo "Kubernetes' end-to-end tests: building what their Pods run (3 minutes the first time)"
	@mkdir -p $(e2e_suite)
	@CGO_ENABLED=0 go build -C conformance/kubernetes-e2e $(go_build) -o '$(CURDIR)/$(e2e_suite)/' github.com/onsi/ginkgo/v2/ginkgo \
	  k8s.io/kubernetes/test/images/agnhost k8s.io/kubernetes/test/images/nonewprivs k8s.io/sample-apiserver
	@touch $(e2e_suite_tools:%=$(e2e_suite)/%)

$(e2e_suite)/e2e.test: $(e2e_suite_module)
	@echo "Kubernetes' end-to-end tests: building (8 minutes the first time)"
	@mkdir -p $(@D)
	@cd conformance/kubernetes-e2e && CGO_ENABLED=0 go test -c -trimpath -buildvcs=false -ldflags '$(e2e_suite_flags)' \
	  -o '$(CURDIR)/$@' k8s.io/kubernetes/test/e2e
	@touch $@

# ---- Images ------------------------------------------------------------------------------------

$(e2e_suite)/images/.made: $(e2e_suite)/e2e.test $(e2e_suite_tools:%=$(e2e_suite)/%) conformance/kubernetes-e2e/images \
    conformance/kubernetes-e2e/stage build/e2e/bin/coredns build/e2e/bin/pause $(bin)/etcd $(bin)/image
	@conformance/kubernetes-e2e/images $(host_architecture)
	@touch $@
