@echo off
rem Says what it was called with.
echo %TOOL% %*
