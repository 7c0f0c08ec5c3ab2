# What the node of the end-to-end tests runs beside our images: programs in build/e2e/bin, and images as OCI archives in
# build/e2e/images, which have the names that the manifests give them. They are made of Go modules and of packages of Debian;
# nothing comes from a registry of images.

#
#   make e2e             [K8S=1.37] [RUN=InstallTest] [CLUSTER=k3s]   all end-to-end tests, or some; their logs are in build/e2e/work
#   make node            [K8S=1.37]                     the node alone, until Ctrl-C
#
# A node takes root's rights, and some packages of Debian. docs/end-to-end.md says what is tested, and how.

e2e_bin := build/e2e/bin
e2e_images := build/e2e/images
e2e_node_programs := kubelet kube-scheduler kube-proxy
e2e_own_programs := alpine-sed pause pg_isready workload

test_parts += test-e2e-programs
test_long_parts += e2e

# What a node runs of Debian's, and the packages that have it.
e2e_packages := containerd runc containernetworking-plugins iptables

e2e_java = -pl e2e -Dharikube.build='$(CURDIR)/build' -Dharikube.kubernetes='$(K8S)'

# node, or k3s where Docker and its image are there.
CLUSTER ?= node

.PHONY: e2e
e2e: e2e-built kubernetes-unpatched build/tools/tally ## What README.md promises, on a real node (30 minutes). Root; RUN=InstallTest, CLUSTER=k3s, K8S=
	@$(with_jdk) $(tally) -surefire e2e/target/surefire-reports $(mvn) $(e2e_java) test \
	  -Dtest.excludedGroups= -Dharikube.cluster='$(CLUSTER)' $(if $(RUN),-Dtest='$(RUN)')

# What the node and its users run.
.PHONY: e2e-built
e2e-built: build manifests-archive e2e-programs
	@for program in containerd runc iptables; do command -v $$program >/dev/null || { \
	  echo "$$program is missing: apt-get install $(e2e_packages)" >&2; exit 1; }; done
	@$(MAKE) images ARCHITECTURES=$(host_architecture)

.PHONY: node
node: e2e-built ## A node with our control plane until Ctrl-C: prints its kubeconfig. Root; K8S=
	@$(with_jdk) $(mvn) -q $(e2e_java) compile dependency:build-classpath -Dmdep.outputFile='$(CURDIR)/build/e2e/classpath' && \
	  exec "$$JAVA_HOME/bin/java" -Dharikube.build='$(CURDIR)/build' -Dharikube.kubernetes='$(K8S)' \
	    -cp "e2e/target/classes:$$(cat build/e2e/classpath)" io.harikube.e2e.Main build/e2e/node

.PHONY: e2e-programs
e2e-programs: $(e2e_bin)/helm build/e2e/vcluster build/kubernetes/$(K8S)-nodes/bin/kubelet \
    $(addprefix $(e2e_images)/,vcluster.tar coredns.tar alpine.tar postgres.tar pause.tar busybox.tar workload.tar) ## What a node of the end-to-end tests runs beside our images (15 minutes the first time). K8S=
	@mkdir -p $(e2e_bin) && ln -f $(e2e_node_programs:%=build/kubernetes/$(K8S)-nodes/bin/%) $(e2e_bin)/

.PHONY: test-e2e-programs
test-e2e-programs: build/tools/tally
	@$(tally) go test -C e2e/programs -count=1 -json ./...

# ---- Programs ----------------------------------------------------------------------------------

e2e_module := e2e/programs/go.mod e2e/programs/go.sum
e2e_version = $(shell sed -n 's|^\t$(1) v\([^ ]*\).*|\1|p' e2e/programs/go.mod)

$(e2e_bin)/helm: $(e2e_module)
	@echo "Helm: building (3 minutes the first time)"
	@mkdir -p $(@D)
	@CGO_ENABLED=0 go build -C e2e/programs $(call go_build_with,helm.sh/helm/v4/internal/version.version=v$(call e2e_version,helm.sh/helm/v4)) \
	  -o '$(CURDIR)/$@' helm.sh/helm/v4/cmd/helm
	@touch $@

$(e2e_bin)/coredns: $(e2e_module)
	@echo "CoreDNS: building (3 minutes the first time)"
	@mkdir -p $(@D)
	@CGO_ENABLED=0 go build -C e2e/programs $(go_build) -o '$(CURDIR)/$@' github.com/coredns/coredns
	@touch $@

$(e2e_bin)/vcluster: manifests/vcluster/go.mod manifests/vcluster/go.sum
	@echo "vCluster: building (5 minutes the first time)"
	$(call vcluster_build,vcluster,github.com/loft-sh/vcluster/pkg/telemetry.SyncerVersion)

$(e2e_own_programs:%=$(e2e_bin)/%) &: $(wildcard e2e/programs/go.* e2e/programs/*/*.go)
	@mkdir -p $(e2e_bin)
	@CGO_ENABLED=0 go build -C e2e/programs $(go_build) -o '$(CURDIR)/$(e2e_bin)/' ./...
	@touch $(e2e_own_programs:%=$(e2e_bin)/%)

# Beside the two programs of a node that an image has, which are built with the folder.
build/kubernetes/$(K8S)-nodes/bin/kubelet: build/kubernetes/$(K8S)-nodes/.built
	@images/kubernetes/compile $(K8S) build/kubernetes/$(K8S)-nodes $(@D) kubelet "1 minute the first time"
	@touch $@

# ---- Images ------------------------------------------------------------------------------------

# What lays out and packs the files of each.
e2e_packs := $(bin)/image e2e/programs/stage

# The image with this name that the manifests have.
e2e_manifest_images = $(shell cat manifests/golden/images.txt)
e2e_named = $(strip $(foreach name,$(e2e_manifest_images),$(if $(findstring /$(1):,$(name)),$(name))))

# $(1): the image's name, $(2): what is said of it.
define e2e_image
@echo "Image $(1) for the end-to-end tests (some seconds)"
@mkdir -p $(@D)
@$(if $(findstring postgres,$*),$(with_jdk)) e2e/programs/stage $* $(host_architecture) build/e2e/root-$*
@$(bin)/image pack -name '$(1)' -env PATH=/usr/local/bin:/bin $(2) build/e2e/root-$* $@
@rm -rf build/e2e/root-$*
endef

$(e2e_images)/vcluster.tar: $(e2e_images)/%.tar: $(e2e_bin)/vcluster $(e2e_packs)
	$(call e2e_image,$(call e2e_named,vcluster-oss),-entrypoint /vcluster -entrypoint start)

$(e2e_images)/coredns.tar: $(e2e_images)/%.tar: $(e2e_bin)/coredns $(e2e_packs)
	$(call e2e_image,$(call e2e_named,coredns),-user 65532:65532 -entrypoint /coredns)

$(e2e_images)/alpine.tar: $(e2e_images)/%.tar: $(e2e_bin)/alpine-sed $(e2e_packs)
	$(call e2e_image,$(call e2e_named,alpine),-command sh)

# The newest PostgreSQL 18 of the Java tests, under the name that the manifest has.
$(e2e_images)/postgres.tar: $(e2e_images)/%.tar: $(e2e_bin)/pg_isready e2e/programs/postgres/start server/pom.xml \
    $(e2e_packs) | $(bin)/test-postgres
	$(call e2e_image,$(call e2e_named,postgres),-user 999:999 -stop SIGINT -entrypoint start)

$(e2e_images)/pause.tar: $(e2e_images)/%.tar: $(e2e_bin)/pause $(e2e_packs)
	$(call e2e_image,localhost/harikube-e2e/pause:1,-user 65532:65532 -entrypoint /pause)

$(e2e_images)/busybox.tar: $(e2e_images)/%.tar: $(e2e_packs)
	$(call e2e_image,localhost/harikube-e2e/busybox:1,-command sh)

$(e2e_images)/workload.tar: $(e2e_images)/%.tar: $(e2e_bin)/workload $(e2e_packs)
	$(call e2e_image,localhost/harikube-e2e/workload:1,-entrypoint workload -command serve)
