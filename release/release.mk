# Releases. docs/releasing.md says how one is made, and what is in it.
#
#   make release VERSION=v1.2.3                 builds everything and fills release/dist
#   make sign KEY=file [DIST=release/dist]      signs it: SHA256SUMS, and each image by its digest
#   make verify DIST=folder [PUBKEY=file]       judges a folder that somebody downloaded
#   make keep-manifests VERSION=v1.2.3          keeps the manifests of a version, to upgrade from
#   make push-release [REGISTRY=name]           the images of release/dist into a registry, as they were released
#   make push-signatures [REGISTRY=name]        after that: their signatures, beside them

assemble := build/release/assemble
server_bom := build/release/server.cdx.json

# What somebody typed: not what other makefiles say when nobody did.
typed = $(if $(filter-out file default undefined,$(origin $(1))),$(value $(1)))
release_minors = $(or $(call typed,MINORS),all)

# That goes through the environment, where no shell reads it.
release-check release-dist keep-manifests: export RELEASE_VERSION = $(call typed,VERSION)
sign: export RELEASE_KEY = $(value KEY)
# Everybody's public key, when there is one in the repository.
sign verify push-release push-signatures: export RELEASE_PUBKEY = $(or $(value PUBKEY),$(wildcard release/harikube.pub))
sign verify push-release push-signatures: export RELEASE_DIST = $(value DIST)
push-release push-signatures: export RELEASE_REGISTRY = $(call typed,REGISTRY)

# What somebody has set for all programs of Go or Java would give other bytes, and a jar has the modes that the umask left. Go
# takes an empty variable for none, and then reads its file of settings.
everywhere_alike = umask 022 && env -u JAVA_TOOL_OPTIONS -u JDK_JAVA_OPTIONS -u _JAVA_OPTIONS -u MAVEN_ARGS -u GOEXPERIMENT \
  GOFLAGS=-buildvcs=false GOAMD64=v1 GOARM64=v8.0 GOFIPS140=off

$(assemble): $(wildcard release/assemble/go.* release/assemble/*.go)
	@mkdir -p $(@D)
	@CGO_ENABLED=0 go build -C release/assemble $(go_build) -o '$(CURDIR)/$@' .

# What the server's jars are, by their digests.
$(server_bom): pom.xml server/pom.xml
	@mkdir -p $(@D)
	@$(with_jdk) $(mvn) -q -pl server org.cyclonedx:cyclonedx-maven-plugin:2.9.3:makeBom -DoutputFormat=json \
	  -DoutputDirectory='$(CURDIR)/$(@D)' -DoutputName=server.cdx -DincludeBomSerialNumber=false
	@touch $@

# One after the other, what is refused soonest first: `make` is not parallel here.
.PHONY: release release-check release-dist
release: release-check ## Fills release/dist. VERSION=vX.Y.Z
	@chmod -R u=rwX,go=rX server/src server/pom.xml # a jar has the modes of the checkout, too; one that is there may have others
	@rm -rf $(lib)/harikube-server.jar server/target
	@$(everywhere_alike) $(MAKE) manifests
	@$(MAKE) release-check
	@$(everywhere_alike) $(MAKE) images MINORS='$(release_minors)'
	@$(everywhere_alike) $(MAKE) release-dist

release-check: $(assemble)
	@$(assemble) check

release-dist: $(assemble) $(server_bom)
	@$(assemble) dist -bom $(server_bom) -minors '$(filter-out all,$(release_minors))'

.PHONY: sign
sign: $(assemble) ## Signs release/dist with the key of a file. KEY=, DIST=
	@$(assemble) sign

.PHONY: verify
verify: $(assemble) ## Judges a folder that somebody downloaded. DIST=, PUBKEY=
	@$(assemble) verify

.PHONY: keep-manifests
keep-manifests: $(assemble) ## Keeps the manifests of a version in manifests/releases. VERSION=vX.Y.Z
	@$(assemble) version
	@$(MAKE) manifests
	@$(assemble) keep

.PHONY: manifests-archive
manifests-archive: $(assemble) manifests ## The manifests in their folders, as a release has them, in build/release. VERSION=vX.Y.Z
	@rm -f build/release/harikube-manifests-*.tar.gz
	@$(assemble) archive -version '$(VERSION)' -out build/release >/dev/null

.PHONY: push-release
push-release: $(assemble) ## Brings the images of release/dist into a registry, as they were released. REGISTRY=, DIST=, PUBKEY=
	@$(assemble) push

.PHONY: push-signatures
push-signatures: $(assemble) ## Puts the images' signatures beside the images in a registry. REGISTRY=, DIST=
	@$(assemble) push-signatures

# ---- Test --------------------------------------------------------------------------------------

test_parts += test-release
test_long_parts += test-release-built test-release-twice test-cosign

release_tests = go test -C release/assemble -count=1 -timeout=20m -json
of_built = HARIKUBE_ROOT='$(CURDIR)' HARIKUBE_BUILT_VERSION='$(VERSION)' HARIKUBE_BUILT_MINOR='$(K8S)'

.PHONY: test-release
test-release: build/tools/tally manifests ## Releases of stand-ins, what is refused, the registry, and the manifests that are kept.
	@$(of_built) $(tally) $(release_tests) -skip 'TestBuilt$$|TestBuiltKubernetes|TestTwoClones|TestCosign' ./...

# Of the images that `make test-images` builds, too: those of the server, and what there is of Kubernetes.
.PHONY: test-release-built
test-release-built: build/tools/tally manifests $(server_bom) ## A release of what is built: its server runs.
	@$(MAKE) $(IMAGES)/harikube.tar
	@$(of_built) $(tally) $(release_tests) -run 'TestBuilt$$|TestBuiltKubernetes' .

.PHONY: test-release-twice
test-release-twice: build/tools/tally ## `make release` in two clones of HEAD: the same bytes (hours the first time). MINORS=1.37
	@HARIKUBE_ROOT='$(CURDIR)' HARIKUBE_BUILT_MINORS='$(release_minors)' \
	  $(tally) $(release_tests) -timeout=10h -run TestTwoClones .

.PHONY: test-cosign
test-cosign: build/tools/tally build/release/cosign ## cosign takes our signatures, and no others.
	@COSIGN='$(CURDIR)/build/release/cosign' $(tally) $(release_tests) -run TestCosign .

build/release/cosign: $(wildcard release/cosign/go.*)
	@echo "cosign: building (4 minutes the first time)"
	@mkdir -p $(@D)
	@CGO_ENABLED=0 go build -C release/cosign $(go_build) -o '$(CURDIR)/$@' github.com/sigstore/cosign/v3/cmd/cosign
	@touch $@
