"""The Windows host compute service, vmcompute.dll, as hcsshim's internal/wclayer calls it.

    declarations   structures and prototypes
    errors         HRESULTs as errors of our own
    calls          one function a call: CreateLayer, ImportLayer, ProcessBaseImage ...

May import `native`, `win32` and `errors`.
"""
