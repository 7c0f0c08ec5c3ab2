# What can be done with a checkout. It needs JDK 25, Maven, Go, and make; `make` alone lists the targets.

.DEFAULT_GOAL := help
.NOTPARALLEL:       # each step uses all cores by itself
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# The minor version of Kubernetes that is built and run, and the others that can be.
K8S ?= 1.37
other_minors := $(filter-out $(K8S),$(notdir $(wildcard images/kubernetes/1.*)))

bin := build/bin
lib := build/lib
launcher := server/src/main/launcher
# $(1): a variable that the linker sets, and its value.
go_build_with = -trimpath -buildvcs=false -ldflags '-s -w$(if $(1), -X $(1))'
go_build := $(call go_build_with)
# In front of Maven: the java on PATH may be older than 25, and 25 warns of what Maven itself does.
with_jdk = JAVA_HOME=$$($(launcher)/find-jdk) && export JAVA_HOME && \
  export MAVEN_OPTS="--sun-misc-unsafe-memory-access=allow --enable-native-access=ALL-UNNAMED $$MAVEN_OPTS" &&
mvn := mvn -B -ntp

.PHONY: help
help: ## This list.
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)/\1 \2/p' $(MAKEFILE_LIST) | \
	  while read -r target sentence; do printf '  make %-20s %s\n' "$$target" "$$sentence"; done

# ---- Build -------------------------------------------------------------------------------------

.PHONY: build
build: server kubernetes etcd ## Everything that `make run` starts, in build/bin; only what has changed.

.PHONY: server
server: $(bin)/harikube ## HariKube alone.

# find lists folders, too, so that a removed source counts as a change.
server_sources := $(shell find server/src/main/java server/src/main/proto server/src/main/resources .mvn pom.xml server/pom.xml 2>/dev/null)

$(lib)/harikube-server.jar: $(server_sources)
	@echo "HariKube: building the server (2 minutes the first time, then 1 minute)"
	@rm -rf server/target/lib
	@$(with_jdk) $(mvn) -q -pl server -DskipTests package
	@mkdir -p $(lib) && rm -f $(lib)/*.jar
	@cp server/target/lib/*.jar $(lib)/ && cp server/target/harikube-server.jar $@
	@$(with_jdk) $(launcher)/unpack-sqlite $(lib)

# The launcher in the place where it will be used, and a server that is told to learn.
$(bin)/harikube: $(launcher)/harikube $(lib)/find-jdk $(lib)/harikube-server.jar
	@echo "HariKube: training the server for a quick start (20 seconds)"
	@rm -f $(lib)/harikube.aot && mkdir -p $(@D) && cp $< $@.new
	@HARIKUBE_JAVA_OPTS='-XX:AOTCacheOutput=$(lib)/harikube.aot -Xlog:aot=error,cds=error' $@.new train >$(lib)/training.log 2>&1 || \
	  { cat $(lib)/training.log >&2; exit 1; }
	@mv $@.new $@

$(lib)/find-jdk: $(launcher)/find-jdk
	@mkdir -p $(@D) && cp $< $@

.PHONY: kubernetes
kubernetes: build/kubernetes/$(K8S)/.built ## The patched Kubernetes alone. K8S=1.37, 1.36, 1.35 or 1.34, as for all that runs it.
	@mkdir -p $(bin) && ln -f build/kubernetes/$(K8S)/bin/* $(bin)/

build/kubernetes/$(K8S)/.built: images/kubernetes/build images/kubernetes/compile $(wildcard images/kubernetes/$(K8S)/go.* \
    images/kubernetes/cmd/*/*.go patches/kubernetes-v$(K8S).patch)
	@images/kubernetes/build $(K8S) $(@D)
	@touch $@

.PHONY: kubernetes-unpatched
kubernetes-unpatched: build/kubernetes/$(K8S)-unpatched/.built ## Kubernetes as it is, to compare with. K8S=
	@mkdir -p $(bin)/unpatched && ln -f build/kubernetes/$(K8S)-unpatched/bin/* $(bin)/unpatched/

build/kubernetes/$(K8S)-unpatched/.built: images/kubernetes/build images/kubernetes/compile $(wildcard images/kubernetes/$(K8S)/go.* \
    images/kubernetes/cmd/kube-*/*.go)
	@images/kubernetes/build $(K8S) $(@D) unpatched
	@touch $@

.PHONY: etcd
etcd: $(bin)/etcd ## etcd to compare with, and its client etcdctl.

$(bin)/etcd $(bin)/etcdctl &: $(wildcard images/etcd/go.* images/etcd/cmd/*/*.go)
	@echo "etcd: building etcd and etcdctl (40 seconds the first time)"
	@mkdir -p $(bin)
	@CGO_ENABLED=0 go build -C images/etcd $(go_build) -o '$(CURDIR)/$(bin)/' ./cmd/...
	@touch $(bin)/etcd $(bin)/etcdctl

.PHONY: kine
kine: $(bin)/kine ## kine to compare with; it needs a C compiler.

$(bin)/kine: $(wildcard bench/kine/*)
	@echo "kine: building (5 minutes the first time)"
	@mkdir -p $(bin)
	@CGO_ENABLED=1 go build -C bench/kine $(go_build) -o '$(CURDIR)/$@' .
	@touch $@

.PHONY: k6
k6: $(bin)/k6 ## k6, which makes the load of the Kubernetes Performance Challenge.

$(bin)/k6: $(wildcard bench/k6/*)
	@echo "k6: building (4 minutes the first time)"
	@mkdir -p $(bin)
	@CGO_ENABLED=0 go build -C bench/k6 $(go_build) -o '$(CURDIR)/$@' .
	@touch $@

build/tools/run: $(wildcard controlplane/go.mod controlplane/*.go controlplane/cmd/run/*.go)
	@mkdir -p $(@D)
	@go build -C controlplane $(go_build) -o '$(CURDIR)/$@' ./cmd/run
	@touch $@

build/tools/tally: $(wildcard conformance/go.* conformance/cmd/tally/*.go)
	@mkdir -p $(@D)
	@go build -C conformance $(go_build) -o '$(CURDIR)/$@' ./cmd/tally
	@touch $@

vcluster_version = $(shell sed -n 's|.*loft-sh/vcluster v||p' manifests/vcluster/go.mod)

# The vCluster whose chart the manifests have. $(1): the command of its module, $(2): the variable with its version.
define vcluster_build
@mkdir -p $(@D)
@cd manifests/vcluster && go mod download github.com/loft-sh/vcluster && \
  CGO_ENABLED=0 go build -C "$$(go list -m -f '{{.Dir}}' github.com/loft-sh/vcluster)" \
  $(call go_build_with,$(2)=$(vcluster_version)) -o '$(CURDIR)/$@' ./cmd/$(1)
@touch $@
endef

build/e2e/vcluster: manifests/vcluster/go.mod manifests/vcluster/go.sum
	@echo "vCluster's command line: building (4 minutes the first time)"
	$(call vcluster_build,vclusterctl,main.version)

# ---- Run ---------------------------------------------------------------------------------------

# PORT=6443 of the API server, DATA=folder, ENDPOINT=postgres://…, STORE=etcd to compare.
DATA ?= build/run

# value: a $ in a password stays. exec: Ctrl-C finds only make and the program, which stops in order.
# The endpoint may have a password, so it goes through the environment, which only its owner sees.
.PHONY: run
ifdef ENDPOINT
run: export HARIKUBE_ENDPOINT = $(value ENDPOINT)
endif
run: $(if $(filter etcd,$(STORE)),,server) kubernetes etcd build/tools/run ## Kubernetes on HariKube until Ctrl-C. PORT=, DATA=, ENDPOINT=postgres://…, STORE=etcd.
	@exec build/tools/run -bin $(bin) -data '$(value DATA)' $(if $(PORT),-port '$(PORT)') \
	  $(if $(filter etcd,$(STORE)),-store etcd,-apply manifests/skip-controller-manager-metadata-caching.yaml)

# ---- Test --------------------------------------------------------------------------------------

# A part of the tests is a target that runs its command under $(tally), which counts. Other makefiles
# add parts: `test_parts += NAME`.
test_parts := test-java test-conformance
test_long_parts := test-java-long test-kubernetes-minors
tally = build/tools/tally part -name $@ -results build/test

# Runs all the parts, whatever becomes of each, and ends with the sum.
run_parts = rm -rf build/test; $(MAKE) -k $(1); build/tools/tally sum -results build/test $(1)

.PHONY: test
test: build/tools/tally ## All tests of some minutes; ends with `N passed, N failed`.
	@$(call run_parts,$(test_parts))

.PHONY: test-long
test-long: build/tools/tally ## The tests that take long: random operations, crashes, compactions.
	@$(call run_parts,$(test_long_parts))

.PHONY: test-java
test-java: build/tools/tally ## The tests of the server.
	@$(with_jdk) $(tally) -surefire server/target/surefire-reports $(mvn) -pl server,e2e verify

.PHONY: test-java-long
test-java-long: build/tools/tally
	@$(with_jdk) $(tally) -surefire server/target/surefire-reports \
	  $(mvn) -pl server verify -Dtest.groups=long -Dtest.excludedGroups=

.PHONY: test-conformance
test-conformance: build manifests-archive kubernetes-unpatched build/tools/tally build/e2e/vcluster test-postgres ## The tests of Kubernetes on HariKube.
	@$(tally) sh -c 'failed=; for module in controlplane conformance; do \
	  go test -C $$module -count=1 -timeout=30m -json ./... || failed=1; done; test -z "$$failed"'

kubernetes_tests = go test -C conformance -count=1 -timeout=30m -json -run "$(RUN)" .

.PHONY: test-kubernetes
test-kubernetes: build manifests-archive build/tools/tally build/e2e/vcluster test-postgres ## Those with an API server alone. K8S=, RUN=TestPolicy
	@$(tally) $(kubernetes_tests)

# build/bin has the programs of one minor version at a time; in the end those of K8S= again.
.PHONY: test-kubernetes-minors
test-kubernetes-minors: build manifests-archive build/tools/tally build/e2e/vcluster test-postgres ## The same with the minor versions other than K8S=.
	@$(tally) sh -c 'failed=; for minor in $(other_minors); do \
	  $(MAKE) kubernetes K8S=$$minor >&2 && $(kubernetes_tests) || failed=1; done; \
	  $(MAKE) kubernetes >&2; test -z "$$failed"'

# The PostgreSQL of the Java tests, for the others: a program that runs one as long as its input is open.
test_postgres := server/src/test/launcher/test-postgres
.PHONY: test-postgres
test-postgres: $(if $(wildcard $(test_postgres)),$(bin)/test-postgres)

$(bin)/test-postgres: $(test_postgres) $(lib)/find-jdk $(lib)/harikube-server.jar \
    $(shell find server/src/test/java/io/harikube/testing 2>/dev/null)
	@echo "PostgreSQL for tests (1 minute)"
	@rm -rf $(lib)/test && mkdir -p $(lib)/test
	@$(with_jdk) $(mvn) -q -pl server test-compile dependency:copy-dependencies \
	  -DincludeScope=test -DoutputDirectory='$(CURDIR)/$(lib)/test' && \
	  "$$JAVA_HOME/bin/jar" --create --file $(lib)/test/tests.jar -C server/target/test-classes .
	@cp server/target/harikube-server.jar $(lib)/test/
	@mkdir -p $(bin) && cp $< $@

# ---- Keep tidy ---------------------------------------------------------------------------------

.PHONY: format
format: ## Formats all sources.
	@$(with_jdk) $(mvn) -q spotless:apply
	@gofmt -w conformance controlplane images bench manifests release

.PHONY: clean
clean: ## Removes everything that was built, and the data of `make run`.
	rm -rf build server/target e2e/target target

-include conformance/*.mk e2e/*.mk bench/*.mk images/*.mk manifests/*.mk release/*.mk
