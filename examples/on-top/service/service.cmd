@echo off
rem Writes the time every ten seconds, until the container is stopped.
:again
echo %TIME% >> %SERVICE_DATA%\service.txt
ping -n 11 127.0.0.1 > nul
goto again
