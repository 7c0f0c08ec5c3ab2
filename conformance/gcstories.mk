# Random stories of owners and dependents, on Kubernetes as it is and on HariKube: what is left must be the same. `make test`
# has some dozens in its test-conformance. HARIKUBE_STORIES_SEED repeats a story.

test_long_parts += test-gc-stories

.PHONY: test-gc-stories
test-gc-stories: build kubernetes-unpatched build/tools/tally test-postgres ## Garbage collection by random stories. HARIKUBE_STORIES=3000 HARIKUBE_CRASH_STORIES=1000
	@HARIKUBE_STORIES=$${HARIKUBE_STORIES:-3000} HARIKUBE_CRASH_STORIES=$${HARIKUBE_CRASH_STORIES:-1000} \
	  $(tally) go test -C conformance -count=1 -timeout=3h -json ./gcstories
