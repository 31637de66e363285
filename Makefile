# make demo | make test: each sets up .venv first if it is missing.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP_EXTRA ?=
SECONDS ?= 20
SOURCES := $(shell find hmr_ros msg launch config policies urdf scripts cmake -type f -not -name '*.pyc') CMakeLists.txt package.xml setup.py
PREFIX := CMAKE_PREFIX_PATH=$(CURDIR)/$(VENV) AMENT_PREFIX_PATH=$(CURDIR)/$(VENV) PATH=$(CURDIR)/$(VENV)/bin:$$PATH

.PHONY: help setup tf2_msgs demo test soak overload faults lint format clean
help:
	@echo "make demo [SOURCE=clip.mp4|0] [VIEW=1]  camera and live node on ROS 2 topics, results in demo_out/"
	@echo "make test                      format, lint, types, all tests"
	@echo "make soak [SECONDS=1800]       half an hour of the live node; make overload, make faults: docs/reliability.md"
	@echo "make setup                     only the environment in .venv"

setup: $(VENV)/.installed

# one pip resolution for everything; redone only when the pins change
$(VENV)/.packages: requirements.txt
	@command -v gcc >/dev/null && command -v g++ >/dev/null && command -v cmake >/dev/null || \
	  { echo "gcc, g++ and cmake are needed to build the messages; install them (Debian: apt install build-essential cmake)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' || \
	  { echo "Python 3.10, 3.11 or 3.12 is needed; give one with make PYTHON=python3.11"; exit 1; }
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check $(PIP_EXTRA) -r requirements.txt
	$(RUN) scripts/prepare_ros_prefix.py
	touch $@

# $(call build_messages,SOURCE,NAME): a CMake package into the environment
define build_messages
@mkdir -p build
$(PREFIX) cmake -S $(1) -B build/$(2) -DCMAKE_INSTALL_PREFIX=$(CURDIR)/$(VENV) -DBUILD_TESTING=OFF -DHMR_FETCH_MODELS=OFF \
  -DPython3_EXECUTABLE=$(CURDIR)/$(RUN) -DCMAKE_BUILD_TYPE=Release >build/cmake.log 2>&1 || { cat build/cmake.log; exit 1; }
$(PREFIX) cmake --build build/$(2) --parallel 2 >build/build.log 2>&1 || { cat build/build.log; exit 1; }
$(PREFIX) cmake --install build/$(2) >build/install.log 2>&1 || { cat build/install.log; exit 1; }
endef

# tf2_msgs is not among the wheels; where a ROS installation brings it, that one is used
TF2_IS_INSTALLED := import sys, tf2_msgs.msg as m; sys.exit(m.__file__.startswith(sys.prefix))
$(VENV)/.tf2_msgs: $(VENV)/.packages $(wildcard interfaces/tf2_msgs/* interfaces/tf2_msgs/msg/*)
	$(RUN) -c "$(TF2_IS_INSTALLED)" 2>/dev/null || $(MAKE) --no-print-directory tf2_msgs
	touch $@

tf2_msgs:
	$(call build_messages,interfaces/tf2_msgs,tf2_msgs)

# messages, then sources and the `hmr` command of this Python, then models; redone when a source changes
$(VENV)/.installed: $(VENV)/.packages $(VENV)/.tf2_msgs $(SOURCES)
	$(call build_messages,.,messages)
	@# pip would take the generated package's egg-info for an older installation, and remove the messages with it
	rm -rf $(VENV)/lib/python3.*/site-packages/hmr_ros-*.egg-info
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall .
	rm -rf build/lib build/bdist.*
	$(RUN) -m hmr_ros models fetch >/dev/null
	cd build && $(CURDIR)/$(RUN) -c 'import rclpy, hmr_ros.msg'  # without them the ROS tests would be left out
	touch $@

demo: setup
	$(RUN) -m hmr_ros demo --out demo_out --seconds $(SECONDS) $(if $(SOURCE),--source $(SOURCE)) $(if $(VIEW),--view)

test: setup lint
	$(RUN) -m pytest

# SECONDS is the demo's unless it is given
soak overload faults: setup
	$(RUN) benchmarks/$@.py $(if $(filter command line,$(origin SECONDS)),$(if $(filter faults,$@),--nobody,--seconds) $(SECONDS))

lint: setup
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

format: setup
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

clean:
	rm -rf $(VENV) build demo_out
