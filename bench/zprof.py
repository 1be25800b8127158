import asyncio,subprocess,tempfile,time,aiohttp
from pathlib import Path
from bench.latency import *
async def go(stack,url,secret):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=2)) as s:
        c=Caller(s,f"{stack.url}/v1",secret=secret); await until_serving(s,stack.url); await c.repeat(30)
        w=stack.processes["web"]; print("idle",await c.repeat(100))
        p=subprocess.Popen(["/tmp/pyspy/bin/py-spy","record","-r","400","-d","12","-f","raw","-o","/tmp/g/web.raw","-p",str(w.pid)],stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL) if PROF else None
        b=cpu_seconds(w); t=time.time(); r=await c.repeat(1500,callers=20); print(r, "web cpu ms/call",(cpu_seconds(w)-b)/r["calls"]*1e3, "rate",r["calls"]/(time.time()-t))
        if p: p.wait()
def main():
    global PROF
    import sys; PROF="prof" in sys.argv
    prepare()
    with tempfile.TemporaryDirectory() as n, simulator(latency="fixed:50",folder=Path(n)) as (u,_), Stack(Path(n)) as stack:
        secret=make_key(declare_model(u)[0]); stack.start("web","exec-interactive"); asyncio.run(go(stack,u,secret))
