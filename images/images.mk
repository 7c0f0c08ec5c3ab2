# The images: OCI archives in build/images. docs/images.md says what is in them, and what can be done with them.
#
#   make images [VERSION=v1.2.3] [MINORS="1.37 1.36"|all] [ARCHITECTURES="amd64 arm64"]
#   make push REGISTRY=registry.example.org/team [VERSION=…] [MINORS=…]

include release/release.properties
VERSION ?= v0.0.0-dev
MINORS ?= $(K8S)
ARCHITECTURES ?= amd64 arm64
IMAGES := build/images
image := $(bin)/image

image_minors = $(if $(filter all,$(MINORS)),$(sort $(K8S) $(other_minors)),$(MINORS))
kubernetes_version = $(shell sed -n 's/^\tk8s.io\/kubernetes \(v.*\)/\1/p' images/kubernetes/$(K8S)/go.mod)
# What an image tells of where it comes from. Its time is that of the commit, so that it is the same tomorrow.
image_revision = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)$(if $(shell git status --porcelain 2>/dev/null),-dirty)
image_created = $(or $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null),1970-01-01T00:00:00Z)

.PHONY: images
images: $(IMAGES)/harikube.tar ## OCI archives of the server and of Kubernetes in build/images. VERSION=v1.2.3, MINORS="1.37 1.36"|all
	@for minor in $(image_minors); do $(MAKE) images-kubernetes K8S=$$minor || exit 1; done
	@$(image) check -max 90000000 $(IMAGES)/harikube.tar
	@$(image) check -max 120000000 $(image_minors:%=$(IMAGES)/kubernetes-%.tar)

.PHONY: images-kubernetes
images-kubernetes: $(IMAGES)/kubernetes-$(K8S).tar

.PHONY: push
push: images ## The same into a registry, as they are. REGISTRY=registry.example.org/team, and VERSION=, MINORS= as for them
	@$(image) push $(IMAGES)/harikube.tar $(REGISTRY)/harikube:$(VERSION)
	@for minor in $(image_minors); do $(MAKE) push-kubernetes K8S=$$minor || exit 1; done

.PHONY: push-kubernetes
push-kubernetes:
	@$(image) push $(IMAGES)/kubernetes-$(K8S).tar $(kubernetes_image)

harikube_image = $(REGISTRY)/harikube:$(VERSION)
kubernetes_image = $(REGISTRY)/kubernetes:$(kubernetes_version)-$(VERSION)

$(image): $(shell find images/tools -name '*.go' ! -name '*_test.go') $(wildcard images/tools/go.*)
	@mkdir -p $(@D)
	@CGO_ENABLED=0 go build -C images/tools $(go_build) -o '$(CURDIR)/$@' ./cmd/image
	@touch $@

# Files that are newer than an image if what is said of it has changed.
said = mkdir -p $(@D) && echo $(1) | cmp -s - $@ || echo $(1) >$@
image_labels = '$(REGISTRY)' '$(VERSION)' '$(image_revision)' '$(image_created)' '$(SOURCE_URL)' '$(LICENCE)'
$(IMAGES)/labels: FORCE
	@$(call said,$(image_labels))
$(IMAGES)/architectures: FORCE
	@$(call said,$(ARCHITECTURES))
.PHONY: FORCE
FORCE:

# $(1): the module, $(2): the folder of the work, $(3): the architecture, $(4): the name, $(5): the archive, $(6): more.
define jib
@mkdir -p $(2)/classes
@$(with_jdk) $(mvn) -q -f images/pom.xml -pl $(1) com.google.cloud.tools:jib-maven-plugin:buildTar \
  -Dimage.work='$(abspath $(2))' -Dimage.architecture=$(3) -Dimage.name='$(4)' -Dimage.version='$(VERSION)' \
  -Dimage.revision='$(image_revision)' -Dimage.created='$(image_created)' -Dimage.source='$(SOURCE_URL)' \
  -Dimage.licence='$(LICENCE)' -Dimage.kubernetes='$(kubernetes_version)' $(6)
@$(image) finish -name '$(4)' $(2)/image.tar $(5)
@rm -f $(2)/image.tar
endef

images_poms := images/pom.xml images/harikube/pom.xml images/kubernetes/pom.xml
class_archive := /harikube/harikube.jsa
harikube_work = $(IMAGES)/work/harikube-$*
kubernetes_work = $(IMAGES)/work/kubernetes-$(K8S)-$*

$(IMAGES)/harikube-linux-%.tar: $(lib)/harikube-server.jar $(image) $(IMAGES)/labels $(images_poms) $(wildcard images/harikube/*)
	@echo "Image of the server for $*: laying out and packing (10 seconds; 30 the first time)"
	@$(with_jdk) images/harikube/stage $* $(VERSION) $(lib) $(harikube_work)
	$(call jib,harikube,$(harikube_work),$*,$(harikube_image),$@,$$( \
	  test ! -f $(harikube_work)/layers/server$(class_archive) || echo -Dimage.share=-XX:SharedArchiveFile=$(class_archive)))

$(IMAGES)/harikube.tar: $(ARCHITECTURES:%=$(IMAGES)/harikube-linux-%.tar) $(IMAGES)/architectures
	@$(image) join -name '$(harikube_image)' $@ $(filter %.tar,$^)

$(IMAGES)/kubernetes-$(K8S)-linux-%.tar: build/kubernetes/$(K8S)/.built build/kubernetes/$(K8S)-nodes/.built $(image) \
    $(IMAGES)/labels $(images_poms) images/kubernetes/stage $(shell find images/kubernetes/init -name '*.go')
	@echo "Image of Kubernetes $(kubernetes_version) for $*"
	@images/kubernetes/stage $* $(K8S) build/kubernetes/$(K8S) build/kubernetes/$(K8S)-nodes $(kubernetes_work)
	$(call jib,kubernetes,$(kubernetes_work),$*,$(kubernetes_image),$@)

$(IMAGES)/kubernetes-$(K8S).tar: $(ARCHITECTURES:%=$(IMAGES)/kubernetes-$(K8S)-linux-%.tar) $(IMAGES)/architectures
	@$(image) join -name '$(kubernetes_image)' $@ $(filter %.tar,$^)

# What a node runs is Kubernetes' own, without our patch.
build/kubernetes/$(K8S)-nodes/.built: images/kubernetes/build images/kubernetes/compile \
    $(wildcard images/kubernetes/$(K8S)/go.* $(patsubst %,images/kubernetes/cmd/%/*.go,kube-scheduler kube-proxy kubelet))
	@images/kubernetes/build $(K8S) $(@D) unpatched kube-scheduler kube-proxy
	@touch $@

.PHONY: image-classes
image-classes: build test-postgres build/tools/run ## Writes anew which classes the archive of the server's image has (3 minutes).
	@conformance/with-postgres images/harikube/learn-classes

# ---- Test --------------------------------------------------------------------------------------

# `make test` has the server's image for both architectures, and Kubernetes' for this one: to compile it for another takes
# some minutes. `make test-long` has all of them, and builds them a second time in a clone.
test_parts += test-images
test_long_parts += test-images-all

host_architecture := $(shell go env GOHOSTARCH 2>/dev/null)
.PHONY: quick-images
quick-images: $(IMAGES)/harikube.tar $(IMAGES)/kubernetes-$(K8S)-linux-$(host_architecture).tar

image_programs := build/cache/programs

# $(1): where the archives are that were built again, $(2): the minors.
image_tests = HARIKUBE_IMAGES='$(abspath $(IMAGES))' HARIKUBE_IMAGES_AGAIN='$(abspath $(1))' HARIKUBE_BIN='$(abspath $(bin))' \
  HARIKUBE_REGISTRY='$(abspath $(wildcard $(image_programs)/registry))' \
  HARIKUBE_CRANE='$(abspath $(wildcard $(image_programs)/crane))' \
  HARIKUBE_DISTRIBUTION='$(abspath $(wildcard $(image_programs)/docker-registry))' \
  HARIKUBE_QEMU_ARM64='$(abspath $(wildcard $(image_programs)/qemu-aarch64-static))' \
  $(tally) sh -c 'failed=; for minor in $(2); do HARIKUBE_K8S=$$minor \
    go test -C images/tools/built -count=1 -timeout=20m -json ./... || failed=1; done; \
    for module in tools kubernetes/init; do go test -C images/$$module -count=1 -json ./... || failed=1; done; test -z "$$failed"'

.PHONY: test-images
test-images: etcd build/tools/tally $(image) $(image_programs) ## The images: what is in them, that they run, are loaded and pushed, and are the same again (3 minutes).
	@$(MAKE) quick-images ARCHITECTURES="amd64 arm64"
	@rm -rf build/images-again && $(MAKE) quick-images IMAGES=build/images-again ARCHITECTURES="amd64 arm64"
	@$(call image_tests,build/images-again,$(K8S))

.PHONY: test-images-all
test-images-all: etcd build/tools/tally $(image) $(image_programs) ## The same for all minors and both architectures, and with a clone (60 minutes).
	@$(MAKE) images MINORS=all ARCHITECTURES="amd64 arm64"
	@rm -rf build/clone && git clone -q . build/clone
	@$(MAKE) -C build/clone images MINORS=all ARCHITECTURES="amd64 arm64"
	@export HARIKUBE_IMAGES_ALL=1; $(call image_tests,build/clone/build/images,$(sort $(K8S) $(other_minors)))

# What the tests need besides: two registries, crane, and an emulator of the other architecture. Debian's packages are unpacked,
# not installed; without them the tests say what they have not tested.
$(image_programs): images/images.mk images/tools/built/go.mod
	@mkdir -p $@
	@go build -C images/tools/built $(go_build) -o '$(abspath $@)/' github.com/google/go-containerregistry/cmd/registry \
	  github.com/google/go-containerregistry/cmd/crane
	@for program in docker-registry/usr/bin/docker-registry qemu-user-static/usr/bin/qemu-aarch64-static; do \
	  package=$$(images/debian $${program%%/*} $(host_architecture) build/cache/debian) && \
	  dpkg-deb --extract $$package $@/files && mv $@/files/$${program#*/} $@/ || \
	  echo "NOT TESTED with $${program##*/}: Debian's package $${program%%/*} cannot be had" >&2; done
	@rm -rf $@/files && touch $@

# The whole stack of each manifest, started as processes. 6 minutes; as root, since a container has a user and a root of its own.
test_long_parts += test-stack

.PHONY: test-stack
test-stack: etcd kubernetes manifests test-postgres build/tools/tally ## The stack of each manifest as processes: serves kubectl, keeps its data. RUN=TestSQLite
	@$(MAKE) $(IMAGES)/harikube-linux-$(host_architecture).tar $(IMAGES)/kubernetes-$(K8S)-linux-$(host_architecture).tar
	@HARIKUBE_IMAGES='$(abspath $(IMAGES))' HARIKUBE_MANIFESTS='$(abspath build/manifests)' HARIKUBE_BIN='$(abspath $(bin))' \
	  HARIKUBE_VERSION='$(VERSION)' $(tally) go test -C images/tools/stack -count=1 -timeout=30m $(if $(RUN),-run '$(RUN)') -json ./...
