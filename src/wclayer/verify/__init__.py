"""What Windows, hcsshim, containerd and Docker refuse or damage, found before they do (`wclayer verify`)."""
