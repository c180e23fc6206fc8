"Hello from PowerShell $($PSVersionTable.PSVersion) on $env:COMPUTERNAME."
