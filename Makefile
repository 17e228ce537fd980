# Every target sets up what it needs (Debian packages, .venv from requirements.lock) and says so.
# Without make: python3 tools/dev.py demo, python3 tools/dev.py test, ...
PYTHON ?= $(shell command -v python3.11 || command -v python3)
SIZE ?=
SEEDS ?=
ONLY ?=
KEEP ?=

.PHONY: demo screenshots test test-slow test-wild check bench-dump bench-engines bench-snapshot bench-snapshots bench-api bench-drills bench-metrics bench-pitr bench-schedules bench-web

demo:
	@$(PYTHON) tools/dev.py demo $(if $(SIZE),--size $(SIZE)) $(if $(KEEP),--keep)

test-wild:
	@$(PYTHON) tools/dev.py test-wild $(if $(SEEDS),--seeds $(SEEDS)) $(if $(ONLY),--only "$(ONLY)")

screenshots test test-slow check bench-dump bench-engines bench-snapshots bench-api bench-drills bench-metrics bench-pitr bench-schedules bench-web:
	@$(PYTHON) tools/dev.py $@

bench-snapshot: bench-snapshots
