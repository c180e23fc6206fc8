@echo off
rem What the container runs: cmd.exe comes from the host, as in every HostProcess container.
echo Hello from a container that was made without Windows.
