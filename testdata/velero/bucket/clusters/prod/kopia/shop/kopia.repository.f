{
  "tool": "https://github.com/kopia/kopia",
  "buildVersion": "v0-unofficial",
  "buildInfo": "-(unknown_revision)",
  "uniqueID": "UpUvvQSgUaETQ16Pig3FebCnH8M1UxuIYEySDWBALGs=",
  "keyAlgo": "scrypt-65536-8-1",
  "encryption": "AES256_GCM",
  "encryptedBlockFormat": "3RROdCuGkj9qV021MrSCqlLMIoRmXnQukLZIhkWHrsPFbohtjhz5nnMGx4WFRYd/9VPhHKt5G0ucxYhIlMdxSxw17ZQvSYr2GaodnXIBwog6hqh94BiaNK4D0hsnkHFxxJLK7qsqVKvIdSMdflYv4eQ2C6TGjx3B0LOkToKi5PVJ78wl+hBra2dVjRZ9OcvRPquIGh8dWS1Mp/5F0fDWoA6tpIAGNvoOUslcQy3l+YBl7DZGNQYZxynWbF0pG9Ry//ASGJaVtaaaGn6WJcksqETPv66G8MOslXGgPyN9+h3gmN92lFB3GPFt2MPlhUDLW7nTywsnztqZLr7m+m3hax1C5rjSq5aWp50t6dzwfghJg+lP+vbjZpC3pW6cmXPT0mQMZAJ4uw22STQkw/bWwcetfrVn5JgCblgIVXvn/gkxq+gzdklRYEJuNMDMZKdVBVAcIzqG3Ue5veOkRPV8rbyfsgJD/WGLL6mcAoxZnLY8V+0jbmn+ZI47oZPEoDCvvCpG2txsRTfQHfAZi85PSth9Q8R/SVhl8l9Ief2j5QuQrBj9fYsLD+qfvLo3FaERY6hGlZ37MEul5QM7PuWijB0le2wQZ+2ElA6vNcTFBkI8mPbVZw835MDxCYM/8OWCEfLqscDSvCy7ZtkrOq7AlN+Fx31zHX+Rl5984mV4yJEV9lsNOFFT2utzg0vcU4qQ4cOTsihmTRwjThAn3pCq2IrqOTkCUhms/vcFapOFzGLgQoeTyC723qcfBuKGIRCZWkmh+rQC9Sqx+7g2V65A5+3A4M9HSntNuAbpxRps4g=="
}
