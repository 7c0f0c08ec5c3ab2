# A bad day: what happens to a server and to its database, under load, as a table of faults in conformance/faults.
#
#   make test-faults       the rows of some seconds, a part of `make test`
#   make test-faults-all   all rows, a part of `make test-long`
#   make test-faults RUN=disk_full          those rows alone, quick or not
#   make test-faults RUN=clock.*/postgres
#
# docs/conformance.md says what is done and what has to hold.

test_parts += test-faults
test_long_parts += test-faults-all

# Two at a time: a fault is waited for more than it is worked on.
faults = go test -C conformance -count=1 -parallel=2 -timeout=1h -run "TestFaults/$(RUN)" -json ./faults

.PHONY: test-faults
test-faults: server build/tools/tally test-postgres ## Faults of disks, databases and clocks, under load. RUN=disk_full
	@HARIKUBE_FAULTS=$(if $(RUN),all,quick) $(tally) $(faults)

.PHONY: test-faults-all
test-faults-all: server build/tools/tally test-postgres ## All of them (20 minutes).
	@HARIKUBE_FAULTS=all $(tally) $(faults)
