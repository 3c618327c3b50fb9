@echo off
rem Installs what is in this folder, an unzipped kitbag bundle.
rem install.cmd [REQUEST...] [OPTION...]; the arguments are those of "kitbag install".
rem
rem It starts with a build of the bundle, unpacked below the root by Windows' own tar, and
rem otherwise with a Python of this machine.
setlocal EnableExtensions DisableDelayedExpansion
set "here=%~dp0"
set "python="
set "scratch="

rem The root, as kitbag understands it. FOR takes "--root=DIR" for two words.
set "root=%KITBAG_ROOT%"
set "next="
for %%A in (%*) do call :argument "%%~A"
if not defined root set "root=%LOCALAPPDATA%\kitbag\python"
set "KITBAG_ROOT=%root%"

rem A 32-bit shell on a 64-bit system has the second variable.
set "machine=%PROCESSOR_ARCHITECTURE%"
if defined PROCESSOR_ARCHITEW6432 set "machine=%PROCESSOR_ARCHITEW6432%"
set "cpu="
if /i "%machine%"=="AMD64" set "cpu=x86_64"
if /i "%machine%"=="ARM64" set "cpu=aarch64"
if /i "%machine%"=="x86" set "cpu=i686"
if not defined cpu goto :host

for %%F in ("%here%archives\cpython-3.*-%cpu%-pc-windows-msvc-install_only*.tar.gz") do (
    if not defined python call :bundled "%%~fF" "%%~nxF" || exit /b 3
)
if defined python goto :run

:host
for %%P in ("py -3" "python" "python3") do (
    %%~P -I -S -B -c "import sys; sys.exit(sys.version_info < (3, 9))" >nul 2>nul
    if not errorlevel 1 (
        %%~P -I -B "%here%__main__.py" install %*
        goto :done
    )
)
echo kitbag: error: no build of this bundle starts here, and there is no Python 3.9 or newer on the PATH; install one.>&2
exit /b 5

:run
"%python%" -I -S -B "%here%__main__.py" install %*
:done
set "status=%errorlevel%"
if defined scratch rmdir /s /q "%scratch%" 2>nul
exit /b %status%

:argument
if defined next set "root=%~1"
set "next="
if "%~1"=="--root" set "next=yes"
exit /b 0

:bundled
rem %1: an archive, %2: its name. Sets python if it starts; an error if the archive is damaged.
rem certutil writes a title first; old ones put blanks between the bytes.
set "sum="
for /f "skip=1 delims=" %%H in ('certutil -hashfile "%~1" SHA256 2^>nul') do if not defined sum set "sum=%%H"
if not defined sum goto :unpack
set "sum=%sum: =%"
findstr /b /l /c:"%sum%  archives/%~2" "%here%SHA256SUMS" >nul && goto :unpack
echo kitbag: error: %~1 does not have the SHA-256 that it was packed with; copy the bundle again.>&2
exit /b 1
:unpack
set "scratch=%root%\.temp\kitbag-boot-%RANDOM%%RANDOM%"
mkdir "%scratch%" 2>nul
tar -xzf "%~1" -C "%scratch%" 2>nul
"%scratch%\python\python.exe" -I -S -B -c "import sys; sys.exit(sys.version_info < (3, 9))" >nul 2>nul
if not errorlevel 1 (
    set "python=%scratch%\python\python.exe"
    exit /b 0
)
rmdir /s /q "%scratch%" 2>nul
set "scratch="
exit /b 0
