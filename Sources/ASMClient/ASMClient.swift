// ASMClient
