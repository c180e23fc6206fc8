# What a node looks like from a HostProcess container: it runs on the host itself, as the user that the pod names.
$ErrorActionPreference = 'Stop'
$system = Get-CimInstance Win32_OperatingSystem
[pscustomobject]@{
    Node     = $env:COMPUTERNAME
    User     = [Security.Principal.WindowsIdentity]::GetCurrent().Name
    Windows  = $system.Version
    Booted   = $system.LastBootUpTime
    FreeGB   = [math]::Round((Get-PSDrive C).Free / 1GB, 1)
} | ConvertTo-Json
